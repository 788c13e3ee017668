# SPDX-License-Identifier: GPL-2.0-or-later
"""The proxy that QGIS itself goes through."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from qgis.core import QgsSettings


@dataclass(frozen=True)
class QgisProxy:
    """An address for pip.

    Attributes
    ----------
    shown
        What may be read on a screen: without what follows the user's name.
    full
        With all that QGIS has been told in plain text.
    """

    shown: str = ""
    full: str = ""

    def resolved(self, text: str) -> str:
        """Return the address that a field with ``text`` means."""
        return self.full if text.strip() == self.shown else text.strip()


def qgis_proxy() -> QgisProxy:
    """Return the proxy of QGIS's settings; both addresses are empty if it has none."""
    settings = QgsSettings()
    host = str(settings.value("proxy/proxyHost", "") or "").strip()
    if not (settings.value("proxy/proxyEnabled", False, type=bool) and host):
        return QgisProxy()
    kind = str(settings.value("proxy/proxyType", "") or "")
    scheme = "socks5" if kind == "Socks5Proxy" else "http"
    port = str(settings.value("proxy/proxyPort", "") or "").strip()
    place = f"{host}:{port}" if port else host
    user = quote(str(settings.value("proxy/proxyUser", "") or ""), safe="")
    word = quote(str(settings.value("proxy/proxyPassword", "") or ""), safe="")
    shown = "{}://{}{}".format(scheme, user + "@" if user else "", place)
    full = f"{scheme}://{user}:{word}@{place}" if user and word else shown
    return QgisProxy(shown, full)
