"""A file of weights -> the importer that knows them -> networks of this zoo with these weights."""
