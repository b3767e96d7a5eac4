"""Configurations that are odd."""

from __future__ import annotations

from brokenreg.images.catalogue.config.documents import ConfigDuplicateKeys, ConfigLarge, ConfigNotJSON
from brokenreg.images.catalogue.config.members import ConfigCreated, ConfigPlatform
from brokenreg.images.catalogue.config.rootfs import ConfigDiffIds, ConfigHistoryTooLong, ConfigRootfs
from brokenreg.images.catalogue.config.settings import ConfigEntrypoint, ConfigEnv, ConfigUser

CONFIG = (
    ConfigDiffIds,
    ConfigHistoryTooLong,
    ConfigRootfs,
    ConfigCreated,
    ConfigPlatform,
    ConfigLarge,
    ConfigNotJSON,
    ConfigDuplicateKeys,
    ConfigUser,
    ConfigEnv,
    ConfigEntrypoint,
)
"""The kinds of this family."""
