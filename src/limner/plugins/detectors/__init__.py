"""What finds the subject in a picture, one file each."""
