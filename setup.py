"""What pyproject.toml cannot say: every folder of sbi_inn/, simulators/ beside them, data."""

from setuptools import find_packages, setup

rooms = [f"sbi_inn.{room}" for room in find_packages("sbi_inn")]
setup(
    packages=["sbi_inn", *rooms, "sbi_inn.simulators"],
    package_data={"sbi_inn": ["__init__.pyi", "py.typed"], "sbi_inn.report": ["page.html"]},
)
