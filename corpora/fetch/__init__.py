"""Downloads of files by their address, resumed where they stopped, and the listings of files."""
