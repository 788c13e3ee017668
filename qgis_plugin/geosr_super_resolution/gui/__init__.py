# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plugin shows besides Processing's own dialogs; loaded by `initGui` only."""
