"""Kinds of guide pictures for ControlNets, one file each."""
