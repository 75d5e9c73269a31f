"""How near a picture is to its original."""
