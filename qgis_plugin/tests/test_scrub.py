"""The child's environment variables, on each platform."""

import pytest
from geosr_super_resolution.scrub import clean_environment, qgis_folders

HARMFUL = [
    *("PYTHONHOME", "PYTHONPATH", "PYTHONEXECUTABLE", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__"),
    *("PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH", "GDAL_PYTHON_DRIVER_PATH"),
    *("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "VIRTUAL_ENV"),
    *("CONDA_DEFAULT_ENV", "QT_PLUGIN_PATH", "UV_PYTHON"),
]
HARMLESS = {
    "HOME": "/home/ada",
    "LANG": "de_DE.UTF-8",
    "https_proxy": "http://proxy:3128",
    "PIP_INDEX_URL": "https://index.example/simple",
    "PIP_CERT": "/etc/company.pem",
    "AWS_PROFILE": "x",
    "GDAL_HTTP_PROXY": "http://proxy:3128",
    "OMP_NUM_THREADS": "2",
}


def cleaned(environ, platform="linux", python="", own_folders=(), there=()):
    return clean_environment(
        environ,
        platform=platform,
        python=python,
        own_folders=own_folders,
        exists=lambda path: path in there,
    )


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_what_harms_goes_and_the_rest_stays(platform):
    environ = {**dict.fromkeys(HARMFUL, "/usr"), **HARMLESS}
    left = cleaned(environ, platform)
    assert left == {**HARMLESS, "PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}


def test_the_given_variables_are_not_changed():
    environ = {"PYTHONHOME": "/usr"}
    cleaned(environ)
    assert environ == {"PYTHONHOME": "/usr"}


def test_linux_package_keeps_the_system_folders():
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "QGIS_PREFIX_PATH": "/usr"}
    assert qgis_folders(environ, platform="linux", prefix="/usr", executable="/usr/bin/x") == []
    assert cleaned(environ, own_folders=())["PATH"] == environ["PATH"]


@pytest.mark.parametrize(
    ("variables", "inside"),
    [
        ({"FLATPAK_ID": "org.qgis.qgis"}, "/app"),
        ({"APPDIR": "/run/.mount_QGISx"}, "/run/.mount_QGISx"),
        ({"SNAP": "/snap/qgis/7"}, "/snap/qgis/7"),
        ({"CONDA_PREFIX": "/home/ada/conda/envs/qgis"}, "/home/ada/conda/envs/qgis"),
    ],
)
def test_linux_bundles_lose_their_libraries(variables, inside):
    environ = {
        **variables,
        "LD_LIBRARY_PATH": f"{inside}/lib:/opt/cuda/lib64",
        "LD_PRELOAD": f"{inside}/lib/hook.so",
        "PATH": f"{inside}/bin:/usr/bin",
        "SSL_CERT_FILE": f"{inside}/etc/ca.pem",
    }
    left = clean_environment(environ, platform="linux", exists=lambda path: True)
    assert left["LD_LIBRARY_PATH"] == "/opt/cuda/lib64"
    assert left["PATH"] == "/usr/bin"
    assert "LD_PRELOAD" not in left
    assert "SSL_CERT_FILE" not in left


def test_a_list_that_is_all_qgis_goes():
    left = cleaned({"LD_LIBRARY_PATH": "/app/lib:/app/lib64"}, own_folders=["/app"])
    assert "LD_LIBRARY_PATH" not in left


def test_certificates_stay_if_they_are_there():
    environ = {
        "SSL_CERT_FILE": "/etc/company.pem",
        "CURL_CA_BUNDLE": "/gone.pem",
        "SSL_CERT_DIR": "/gone:/etc/certs",
    }
    left = cleaned(environ, there={"/etc/company.pem", "/etc/certs"})
    assert "CURL_CA_BUNDLE" not in left
    assert left["SSL_CERT_FILE"] == "/etc/company.pem"
    assert left["SSL_CERT_DIR"] == "/gone:/etc/certs"


QGIS_PATH = ";".join(
    [
        r"C:\PROGRA~1\QGIS33~1.4\apps\qgis-ltr\bin",
        r"C:\PROGRA~1\QGIS33~1.4\bin",
        r"c:\program files\qgis 3.34.4\apps\Qt5\bin",
        r"C:\OSGeo4W64\bin",
        r"C:\WINDOWS\system32",
        r'"C:\Program Files\Git\cmd"',
    ]
)


def test_windows_path_loses_qgis():
    environ = {
        "Path": QGIS_PATH,
        "OSGEO4W_ROOT": r"C:\PROGRA~1\QGIS33~1.4",
        "SystemRoot": r"C:\WINDOWS",
        "pythonhome": r"C:\PROGRA~1\QGIS33~1.4\apps\Python312",
        "SSL_CERT_FILE": r"C:\PROGRA~1\QGIS33~1.4\bin\curl-ca-bundle.crt",
    }
    left = clean_environment(environ, platform="win32", exists=lambda path: True)
    assert left["Path"] == r'C:\WINDOWS\system32;"C:\Program Files\Git\cmd"'
    assert left["SystemRoot"] == r"C:\WINDOWS"
    assert "pythonhome" not in left
    assert "SSL_CERT_FILE" not in left


def test_windows_path_keeps_the_environment_itself():
    root = r"C:\Users\ada\AppData\Roaming\QGIS\geosr\env"
    environ = {"PATH": rf"{root}\Scripts;C:\QGIS\bin;C:\WINDOWS"}
    left = cleaned(environ, "win32", python=rf"{root}\Scripts\python.exe")
    assert left["PATH"] == rf"{root}\Scripts;C:\WINDOWS"


def test_windows_folders_of_qgis():
    found = qgis_folders(
        {"OSGEO4W_ROOT": r"C:\QGIS33~1"},
        platform="win32",
        prefix=r"C:\Program Files\QGIS 3.34\apps\Python312",
        executable=r"C:\Program Files\QGIS 3.34\bin\qgis-ltr-bin.exe",
    )
    assert found == [r"C:\QGIS33~1", r"C:\Program Files\QGIS 3.34"]
    plain = qgis_folders(
        {}, platform="win32", prefix=r"C:\Python312", executable=r"C:\Python312\python.exe"
    )
    assert plain == []


def test_macos_folders_of_qgis():
    inside = "/Applications/QGIS-LTR.app/Contents"
    found = qgis_folders(
        {}, platform="darwin", prefix=f"{inside}/Frameworks", executable=f"{inside}/MacOS/QGIS"
    )
    assert found == ["/Applications/QGIS-LTR.app"]
    left = cleaned(
        {"DYLD_LIBRARY_PATH": f"{inside}/lib", "PATH": f"{inside}/MacOS/bin:/usr/bin"},
        "darwin",
        own_folders=found,
    )
    assert "DYLD_LIBRARY_PATH" not in left
    assert left["PATH"] == "/usr/bin"


def test_conda_on_windows_finds_its_libraries():
    root = r"D:\conda\envs\geosr"
    there = {rf"{root}\conda-meta", rf"{root}\Library\share\proj"}
    environ = {"Path": r"C:\OSGeo4W\bin;C:\WINDOWS", "PROJ_LIB": r"C:\OSGeo4W\share\proj"}
    left = cleaned(environ, "win32", python=rf"{root}\python.exe", there=there)
    folders = left["Path"].split(";")
    assert folders[0] == root
    assert rf"{root}\Library\bin" in folders
    assert rf"{root}\Scripts" in folders
    assert folders[-1] == r"C:\WINDOWS"
    assert left["PROJ_LIB"] == left["PROJ_DATA"] == rf"{root}\Library\share\proj"
    assert left["CONDA_PREFIX"] == root
    assert "GDAL_DATA" not in left


def test_qgis_in_the_same_conda_environment():
    root = "/opt/conda/envs/gis"
    environ = {"CONDA_PREFIX": root, "PATH": f"{root}/bin:/usr/bin", "PROJ_DATA": "/x"}
    left = clean_environment(
        environ,
        platform="linux",
        python=f"{root}/bin/python",
        exists=lambda path: path == f"{root}/conda-meta",
    )
    assert left["CONDA_PREFIX"] == root
    assert left["PATH"].split(":")[0] == f"{root}/bin"
    assert "PROJ_DATA" not in left
