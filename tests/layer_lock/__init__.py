"""`//tools:layer` end to end, against an index that serves small wheels."""
