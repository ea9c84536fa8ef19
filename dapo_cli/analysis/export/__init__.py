"""Tables as files: texts, captions, keys, formats, and their verification."""
