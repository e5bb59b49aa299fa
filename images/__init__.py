"""The container images of operator and runner, and what builds them without a container engine.

make images                              both, on the Containerfile's own base
python -m images.build --debootstrap     both, on a Debian made here, without a registry
"""
