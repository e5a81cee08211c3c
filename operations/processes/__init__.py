"""Programs that this one starts, keeps running and ends."""
