"""Other companies: each folder speaks one foreign vocabulary."""
