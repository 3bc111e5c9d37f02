"""What ``zerosum data check`` looks for and says."""
