"""Layer lists of published networks, for measurements that name a network and have no file."""
