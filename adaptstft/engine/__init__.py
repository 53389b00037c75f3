"""The equations of the transform: S, its adjoint, its derivatives and its inverse."""
