"""What came before: past transactions into Redis, so that history features begin with a past."""
