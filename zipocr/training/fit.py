"""Fits the three parts of a model: the classifier, the odds that a region is a digit, and the confidence in a whole ZIP."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from zipocr.classify.features import directions, enlarge
from zipocr.classify.gate import Gate, gate_evidence
from zipocr.classify.scores import digit_evidence, validity_evidence
from zipocr.classify.svc import NON_DIGIT, Classifier
from zipocr.normalize import to_grids
from zipocr.training.gather import Samples
from zipocr.types import Floats

CHUNK = 512
# Share of whole digits that the gate keeps out; they are the strangest ones, and would hardly be read right.
GATE_LOSS = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Settings of the classifier; ``gamma`` is in units of 1 / (features x variance), scikit-learn's "scale"."""

    C: float = 10.0
    gamma: float = 0.4
    components: int = 64
    from_grid: bool = False
    seed: int = 0


def to_features(bitmaps: NDArray[np.uint8], *, from_grid: bool) -> Floats:
    """Gradient directions: (N, 32, 32) uint8 -> (N, 336) float32."""
    parts = [bitmaps[start : start + CHUNK] for start in range(0, len(bitmaps), CHUNK)]
    return np.concatenate([directions(enlarge(to_grids(part)) if from_grid else part) for part in parts])


def fit_classifier(samples: Samples, held: Samples, recipe: Recipe) -> dict[str, NDArray[Any]]:
    """Fits projection, gate and SVC.

    Parameters
    ----------
    samples : Samples
        What the classifier learns; all eleven classes occur. Of the non-digits only those that pass the gate: it never sees the others.
    held : Samples
        Regions in their natural mixture, which the gate is fitted to.
    recipe : Recipe

    Returns
    -------
    dict
        Arrays of the model file.
    """
    reduction, reduced = fit_reduction(to_features(samples.bitmaps, from_grid=recipe.from_grid), recipe)
    gate = fit_gate(reduction.transform(to_features(held.bitmaps, from_grid=recipe.from_grid)), held.geometry, held.labels)
    seen = (samples.labels != NON_DIGIT) | (Gate.from_array(gate).odds(reduced, samples.geometry) > 0)
    machine = fit_machine(reduced[seen], samples.labels[seen], recipe)
    return to_arrays(reduction, machine, recipe) | {"gate": gate}


def to_arrays(reduction: PCA, machine: SVC, recipe: Recipe) -> dict[str, NDArray[Any]]:
    """A fitted projection and SVC as the arrays of a model file."""
    return {
        "from_grid": np.array(recipe.from_grid),
        "mean": reduction.mean_.astype(np.float32),
        "projection": np.ascontiguousarray(reduction.components_.T).astype(np.float32),
        "support": machine.support_vectors_.astype(np.float16),
        "support_counts": machine.n_support_.astype(np.int32),
        "dual": machine.dual_coef_.astype(np.float32),
        "intercepts": machine.intercept_.astype(np.float32),
        "gamma": np.array(machine.gamma),
    }


def fit_reduction(features: Floats, recipe: Recipe) -> tuple[PCA, Floats]:
    """Fits the projection to (N, 336) features; returns it and what it makes of them: (N, P) float32."""
    # On a busy machine threads that wait for each other take 100 times longer: 1.9 s, not 0.02 s for 1,797 digits on two shared cores.
    with threadpool_limits(1, user_api="blas"):
        reduction = PCA(recipe.components, random_state=recipe.seed, svd_solver="covariance_eigh").fit(features)
        reduced = reduction.transform(features)
    # Half precision halves the file; the machine is fitted to what reading will see.
    return reduction, reduced.astype(np.float16).astype(np.float32)


def fit_machine(reduced: Floats, labels: NDArray[np.uint8], recipe: Recipe) -> SVC:
    """Fits the SVC to (N, P) projected features and (N,) labels of any number of classes."""
    gamma = recipe.gamma / (reduced.shape[1] * float(reduced.var()))
    return SVC(C=recipe.C, gamma=gamma, cache_size=4000).fit(reduced, labels)


def decide_all(classifier: Classifier, bitmaps: NDArray[np.uint8]) -> Floats:
    """Decisions for many bitmaps: (N, 32, 32) -> (N, 55)."""
    return classifier.decide(classifier.features(bitmaps, to_grids(bitmaps)))


def fit_gate(features: Floats, geometry: Floats, labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Slopes and bias of the gate, (V + 1,) float32, shifted so that only `GATE_LOSS` of the digits are kept out.

    It asks no support vectors, so it may be fitted to regions that these were trained on. (N, P), (N, G), (N,).
    """
    is_digit = labels != NON_DIGIT
    seen = gate_evidence(features, geometry)
    slopes, _ = fit_logistic(seen, is_digit, strength=0.1)
    least = np.quantile((seen @ slopes)[is_digit], GATE_LOSS)
    return np.append(slopes, np.float32(-least)).astype(np.float32)


def fit_scores(decisions: Floats, geometry: Floats, labels: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Fits the two weights of what pairs say on digits, and the logistic odds of being one on all regions."""
    is_digit = labels != NON_DIGIT
    weights, bias = fit_logistic(validity_evidence(decisions, geometry), is_digit, strength=0.1)
    return {"votes": _fit_votes(decisions[is_digit], labels[is_digit]), "validity": np.append(weights, bias).astype(np.float32)}


def _fit_votes(decisions: Floats, labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The two weights with the least log loss."""
    weakest, ballot = (part.astype(np.float64) for part in digit_evidence(decisions))

    def loss(point: NDArray[np.float64]) -> float:
        logits = point[0] * weakest + point[1] * ballot
        return float((logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]).mean())

    found = minimize(loss, np.array([1.4, 0.4]), method="Nelder-Mead", bounds=[(0.01, 20), (0, 20)])
    return np.asarray(found.x, np.float64)


def fit_logistic(
    seen: Floats, truth: NDArray[np.bool_], *, strength: float, weights: NDArray[np.float64] | None = None
) -> tuple[Floats, float]:
    """Logistic regression on standardized columns, its scaling folded into slopes and bias."""
    if truth.all() or not truth.any():
        # Nothing to tell apart: as sure as that many of a kind allow.
        return np.zeros(seen.shape[1], np.float32), float(np.log((truth.sum() + 0.5) / ((~truth).sum() + 0.5)))
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
    # Sums that are split over threads differ in their last digits, and with them the model.
    with threadpool_limits(1, user_api="blas"):
        pipeline.fit(seen, truth, logisticregression__sample_weight=weights)
    scaler, logistic = pipeline[0], pipeline[1]
    slopes = logistic.coef_[0] / scaler.scale_
    return slopes.astype(np.float32), float(logistic.intercept_[0] - slopes @ scaler.mean_)
