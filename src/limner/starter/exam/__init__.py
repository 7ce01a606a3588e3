"""The exam of the starter: new prompts, generated images, and a judge that checks what they show."""
