"""The names that learners know, of estimators and of parameters, for the check of a file before
anything is fitted.

They are the libraries' own, LightGBM's with all aliases; tests/unit/training compares. What is set
by Driftloop (threads, seed, missing values, weights, the objective) is not among them. Values are
the learner's business: it says at the fit what it can't take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

TargetKind = Literal["binary", "multiclass", "regression"]
CLASSES: tuple[TargetKind, ...] = ("binary", "multiclass")


@dataclass(frozen=True, slots=True)
class Estimator:
    """What it can foretell, and the parameters that it takes."""

    targets: tuple[TargetKind, ...]
    params: frozenset[str]


def target_kind(classes: int) -> TargetKind:
    """By how many classes there are; 0: a number is foretold."""
    return "multiclass" if classes > 2 else "binary" if classes else "regression"


_LIGHTGBM = """
alpha app application auc_mu_weights bagging bagging_by_query bagging_fraction bagging_fraction_seed
bagging_freq bagging_seed bin_construct_sample_cnt blacklist boost boost_from_average boosting
boosting_type bundle cat_column cat_feature cat_l2 cat_smooth categorical_column categorical_feature
categorical_features cegb_penalty_feature_coupled cegb_penalty_feature_lazy cegb_penalty_split
cegb_tradeoff colsample_bynode colsample_bytree config config_file contrib convert_model
convert_model_file convert_model_language data data_filename data_random_seed data_sample_strategy
data_seed deterministic device device_type drop_rate drop_seed early_stopping
early_stopping_min_delta early_stopping_round early_stopping_rounds enable_bundle enable_sparse eta
eval_at extra_seed extra_tree extra_trees fair_c fc feature_contri feature_contrib feature_fraction
feature_fraction_bynode feature_fraction_seed feature_penalty feature_pre_filter first_metric_only
force_col_wise force_row_wise forced_splits forced_splits_file forced_splits_filename
forcedbins_filename forcedsplits_filename fp fs gpu_device_id gpu_device_id_list gpu_platform_id
gpu_use_dp group group_column group_id has_header header hist_pool_size histogram_pool_size
ignore_column ignore_feature input_model interaction_constraints is_enable_bundle is_enable_sparse
is_pre_partition is_predict_contrib is_predict_leaf_index is_predict_raw_score
is_provide_training_metric is_save_binary is_save_binary_file is_sparse is_training_metric
is_unbalance l1_regularization l2_regularization label label_column label_gain lambda lambda_l1
lambda_l2 lambdarank_norm lambdarank_position_bias_regularization lambdarank_truncation_level
leaf_index learning_rate linear_lambda linear_tree linear_trees local_listen_port local_port loss
machine_list machine_list_file machine_list_filename machines map_at map_eval_at max_bin
max_bin_by_feature max_bins max_cat_threshold max_cat_to_onehot max_delta_step max_depth max_drop
max_iter max_leaf max_leaf_nodes max_leaf_output max_leaves max_tree_output mc mc_method mc_penalty
metric metric_freq metric_types metrics min_child_samples min_child_weight min_data min_data_in_bin
min_data_in_leaf min_data_per_group min_data_per_leaf min_gain_to_split min_hessian min_samples_leaf
min_split_gain min_sum_hessian min_sum_hessian_in_leaf min_sum_hessian_per_leaf mlist model_in
model_input model_out model_output monotone_constraining_method monotone_constraint
monotone_constraints monotone_constraints_method monotone_penalty monotone_splits_penalty
monotonic_cst ms_penalty multi_error_top_k n_estimators n_iter n_iter_no_change n_jobs name_pred
ndcg_at ndcg_eval_at neg_bagging neg_bagging_fraction neg_sub_row neg_subsample nodes nrounds
nthread nthreads num_boost_round num_class num_classes num_gpu num_grad_quant_bins num_iteration
num_iteration_predict num_iterations num_leaf num_leaves num_machine num_machines num_round
num_rounds num_thread num_threads num_tree num_trees objective objective_seed objective_type
other_rate output_freq output_model output_result parser_config_file path_smooth
poisson_max_delta_step port pos_bagging pos_bagging_fraction pos_sub_row pos_subsample pre_partition
precise_float_parser pred_early_stop pred_early_stop_freq pred_early_stop_margin pred_name
predict_contrib predict_disable_shape_check predict_leaf_index predict_name predict_raw_score
predict_rawscore predict_result prediction_name prediction_result quant_train_renew_leaf query
query_column query_id random_seed random_state rate_drop raw_score refit_decay_rate reg_alpha
reg_lambda reg_sqrt save_binary save_period saved_feature_importance_type scale_pos_weight seed
shrinkage_rate sigmoid skip_drop snapshot_freq sparse start_iteration_predict stochastic_rounding
sub_feature sub_feature_bynode sub_row subsample subsample_for_bin subsample_freq task task_type
test test_data test_data_file time_out top_k top_rate topk train train_data train_data_file
train_metric training_metric tree tree_learner tree_learner_type tree_type tweedie_variance_power
two_round two_round_loading unbalance unbalanced_sets uniform_drop use_missing use_quantized_grad
use_two_round_loading valid valid_data valid_data_file valid_filenames verbose verbosity weight
weight_column workers xgboost_dart_mode zero_as_missing
"""


def twin(name: str) -> str:
    """What an estimator for the other kind of target is called."""
    if name.endswith("Regressor"):
        return name.removesuffix("Regressor") + "Classifier"
    return name.removesuffix("Classifier") + "Regressor"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _both(stem: str, params: str, *, regressor: str = "") -> dict[str, Estimator]:
    """A classifier and a regressor of one kind; `regressor`: what only it takes."""
    return {
        f"{stem}Classifier": Estimator(CLASSES, _words(params)),
        f"{stem}Regressor": Estimator(("regression",), _words(f"{params} {regressor}")),
    }


LIGHTGBM = _words(_LIGHTGBM)
XGBOOST = _words("""
num_boost_round n_estimators eta learning_rate gamma min_split_loss max_depth min_child_weight
max_delta_step subsample sampling_method colsample_bytree colsample_bylevel colsample_bynode lambda
reg_lambda alpha reg_alpha tree_method scale_pos_weight grow_policy max_leaves max_bin
num_parallel_tree monotone_constraints interaction_constraints base_score
""")
_FOREST = """
n_estimators criterion max_depth min_samples_split min_samples_leaf min_weight_fraction_leaf
max_features max_leaf_nodes min_impurity_decrease bootstrap ccp_alpha max_samples
"""
_HISTOGRAM = """
learning_rate max_iter max_leaf_nodes max_depth min_samples_leaf l2_regularization max_features
max_bins interaction_cst early_stopping scoring validation_fraction n_iter_no_change tol
"""
_MLP = """
hidden_layer_sizes activation solver alpha batch_size learning_rate learning_rate_init power_t
max_iter shuffle tol momentum nesterovs_momentum early_stopping validation_fraction beta_1 beta_2
epsilon n_iter_no_change max_fun
"""
_RIDGE = "alpha fit_intercept max_iter tol solver positive"
_LOGISTIC = "C l1_ratio dual tol fit_intercept intercept_scaling solver max_iter"
SKLEARN: Mapping[str, Estimator] = {
    "LinearRegression": Estimator(("regression",), frozenset({"fit_intercept", "tol", "positive"})),
    "Ridge": Estimator(("regression",), _words(_RIDGE)),
    "LogisticRegression": Estimator(CLASSES, _words(_LOGISTIC)),
    "GaussianNB": Estimator(CLASSES, frozenset({"var_smoothing"})),
    **_both("RandomForest", _FOREST),
    **_both("ExtraTrees", _FOREST),
    **_both("HistGradientBoosting", _HISTOGRAM, regressor="loss quantile"),
    **_both("MLP", _MLP),
}
_HOEFFDING = """
grace_period max_depth delta tau leaf_prediction max_size memory_estimate_period stop_mem_management
remove_poor_attrs merit_preprune binary_split
"""
_CLASSES = f"{_HOEFFDING} split_criterion nb_threshold max_share_to_split min_branch_fraction"
_NUMBERS = f"{_HOEFFDING} model_selector_decay min_samples_split"
_ADAPTIVE = "bootstrap_sampling drift_window_threshold switch_significance"
_ARF = "n_models max_features lambda_value disable_weighted_vote"
RIVER: Mapping[str, Estimator] = {
    "LogisticRegression": Estimator(
        ("binary",), frozenset({"learning_rate", "intercept_learning_rate", "l2"})
    ),
    "SoftmaxRegression": Estimator(CLASSES, frozenset({"learning_rate", "l2"})),
    "GaussianNB": Estimator(CLASSES, frozenset()),
    "HoeffdingTreeClassifier": Estimator(CLASSES, _words(_CLASSES)),
    "HoeffdingAdaptiveTreeClassifier": Estimator(CLASSES, _words(f"{_CLASSES} {_ADAPTIVE}")),
    "ARFClassifier": Estimator(CLASSES, _words(f"{_CLASSES} {_ARF}")),
    "LinearRegression": Estimator(
        ("regression",), frozenset({"learning_rate", "intercept_learning_rate", "l2"})
    ),
    "HoeffdingTreeRegressor": Estimator(("regression",), _words(_NUMBERS)),
}
TORCH: Mapping[str, Estimator] = {
    "MLP": Estimator(
        (*CLASSES, "regression"),
        _words(
            "hidden_layer_sizes epochs batch_size learning_rate weight_decay activation "
            "workers device"
        ),
    )
}
ESTIMATORS: Mapping[str, Mapping[str, Estimator]] = {  # by the kind of a learner
    "sklearn": SKLEARN,
    "river": RIVER,
    "torch": TORCH,
}
DEFAULTS: Mapping[str, str] = {  # where a file names no estimator
    "river": "LogisticRegression",
    "torch": "MLP",
}
PARAMS: Mapping[str, frozenset[str]] = {  # of those that have no estimators
    "lightgbm": LIGHTGBM,
    "xgboost": XGBOOST,
}
ONLINE = ("river",)  # that learn on
SHIPPED = frozenset({"lightgbm", "xgboost", "sklearn", "river", "torch"})  # with Driftloop
