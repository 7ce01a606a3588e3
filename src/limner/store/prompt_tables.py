"""The tables of a library of prompts, and how values are stored in them."""

from __future__ import annotations

VERSION = 1
TABLES = f"""
begin immediate;
create table if not exists prompts (
    id integer primary key autoincrement, hash integer not null unique, text text not null,
    refused integer not null, unsafe integer not null);
create table if not exists files (
    id integer primary key, name text not null unique, is_image integer not null, stamp text not null,
    done integer not null, skipped integer not null, complete integer not null, round integer not null);
create table if not exists images (
    prompt integer not null, file integer not null, key integer, unsafe integer not null, negative text not null,
    image text not null, model text not null, adapter text not null, sampler text not null, width integer,
    height integer, steps integer, guidance real, seed integer, stars integer, created text);
create index if not exists images_prompt on images (prompt);
create index if not exists images_file on images (file);
create unique index if not exists images_key on images (key, prompt, file) where key is not null;
create table if not exists state (
    only integer primary key check (only = 1), stale integer not null, unused integer not null,
    round integer not null);
insert or ignore into state values (1, 1, 0, 0);
pragma user_version = {VERSION};
commit;
"""
"""prompts: refused by the policy of moderation; unsafe by that, or by the source of any of its images.

files: of the source, and how far each was read, in its rows; round: of the import that saw it last. images: of the
prompts; key: a hash of the path or URL of an image, which is one image however many files list it with its prompt.
state: stale where the index may have other prompts; unused where prompts may have no image; round: the number of the
last import.
"""
IMAGE_COLUMNS = (
    "negative",
    "image",
    "model",
    "adapter",
    "sampler",
    "width",
    "height",
    "steps",
    "guidance",
    "seed",
    "stars",
    "created",
)
"""Columns of images that are fields of a `PromptRecord`."""
FIRST = (
    "(key is null or not exists (select 1 from images as other where other.key = images.key "
    "and other.prompt = images.prompt and other.file < images.file))"
)
"""The condition that an image is not one that an earlier file lists."""


def signed(number: int) -> int:
    """A number of 64 bits as SQLite stores it."""
    return number - 2**64 if number >= 2**63 else number


def unsigned(number: int) -> int:
    """The number of 64 bits that SQLite stores as this one."""
    return number % 2**64
