"""Reading .keras files that anybody may have made."""
