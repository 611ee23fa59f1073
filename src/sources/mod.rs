//! Where records come from. Sources do not know one another.
