"""The commands, a file for each thing they are about; `cli.py` lists them and loads one when it is called."""
