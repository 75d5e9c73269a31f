"""REBAR and RELAX: score functions with a relaxed control variate."""
