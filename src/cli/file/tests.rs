//! Files of options.
