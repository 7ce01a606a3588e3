"""The functions of the commands, a file for each topic; `cli/app.py` lists them and imports the one typed."""
