"""Mathematics and layer names that several plugins share: plain functions, no plugin among them."""
