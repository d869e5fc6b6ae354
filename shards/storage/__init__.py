"""Files on local disks, object stores and web servers, all by one interface."""
