//! Runs strangers' components. Sees documents and parameters; never a credential, a socket, the store or the clock.
