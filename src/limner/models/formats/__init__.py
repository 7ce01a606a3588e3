"""Layouts of LoRA files, one file each: a module with a `plugin` of the type `limner.models.lora_layouts.Layout`."""
