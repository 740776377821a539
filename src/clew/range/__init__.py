"""The closed training range: a column of its own that knows no stage."""
