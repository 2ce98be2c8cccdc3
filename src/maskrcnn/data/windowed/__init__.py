"""Image files of which windows are read: arrays, TIFF by its own tiles, GeoTIFF."""
