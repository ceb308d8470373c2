"""Request bodies before they are parsed: their memory, their brackets, and the rows of a batch."""
