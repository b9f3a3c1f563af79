"""The Dagster assets, one module a layer. Thin: what they compute stands in transforms, how it is stored in io_managers."""
