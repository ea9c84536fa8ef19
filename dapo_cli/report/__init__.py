"""What a reader gets who has no dapo: a page, and a folder with everything behind it."""
