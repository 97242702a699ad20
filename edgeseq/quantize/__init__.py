"""fp32 graphs → int8 graphs that really run in int8."""
