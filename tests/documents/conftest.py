from entrypoints.conftest import call, environ, local, rbm_key

__all__ = ["call", "environ", "local", "rbm_key"]
