"""Kinds of control images for ControlNets, one file each: a module with a `plugin` of the protocol `Control`."""
