"""Where the world begins: files in, files out."""
