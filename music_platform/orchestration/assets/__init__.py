"""The Dagster assets, one module a layer. Thin: tables/ says what they compute, lake/ how it is stored."""
