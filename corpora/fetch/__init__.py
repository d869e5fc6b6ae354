"""Downloads: files by their address, resumed where they stopped, and the listings that name them."""
