"""Archives: an Item that holds other files is expanded, and its members become Items of their own."""
