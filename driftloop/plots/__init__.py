"""Reports that want more libraries than the client: Optuna's plots of a run's searches."""
