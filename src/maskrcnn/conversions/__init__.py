"""What was found, as a table and in the forms of other libraries, which are imported when they are asked for."""
