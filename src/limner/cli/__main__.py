"""`python -m limner.cli` is the same as `limner`."""

from limner.cli import main

if __name__ == "__main__":
    main()
