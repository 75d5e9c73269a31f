"""Order statistics and their relaxations: what fastgrad/order/ runs."""
