"""Write the vectors of noise and of its cost, from their reference alone.

    python tests/vectors/generate_noise.py           write them anew
    python tests/vectors/generate_noise.py --check   fail where a file differs from that

Vectors are never edited by hand.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import noise_reference as reference

FOLDER = Path(__file__).parent
DELTAS = (1e-5, 1e-6, 1e-9)


def sample(name: str) -> str:
    """32 bytes that look random and are the same everywhere, in hex."""
    return hashlib.shake_128(f"fedsecure test {name}".encode()).digest(32).hex()


def noise_cases() -> list[dict[str, Any]]:
    """Seeds, and the draws that they expand to."""
    cases = []
    for name, section, sigma, size in (
        ("the least sigma", "tensor", 1, 40),
        ("the same seed, scalars", "scalars", 1, 40),
        ("a single draw", "tensor", 3, 1),
        ("a block and three draws", "tensor", 1000, reference.BLOCK + 3),
    ):
        facts = {
            "seed": sample("noise seed"),
            "spec_digest": sample("noise spec"),
            "opening_digest": sample("noise opening"),
        }
        seed, spec, opening = (bytes.fromhex(fact) for fact in facts.values())
        key = reference.noise_key(seed, section, spec, opening)
        draws = reference.noise(key, sigma, size)
        cases.append(
            {
                "name": name,
                **facts,
                "section": section,
                "sigma": sigma,
                "size": size,
                "first": draws[:40],
                "last": draws[-3:],
                "sha256": reference.sha256_of(draws),
            }
        )
    return cases


def tie_cases() -> list[dict[str, Any]]:
    """Uniform numbers of 128 bits at, above and below entries of the table."""
    cases = []
    for sigma in (1, 3, 50):
        entries = reference.table(sigma)
        # The first, one in the bulk, and the last, which share their leading half.
        for entry in (entries[0], entries[2 * sigma], *entries[-3:]):
            for uniform in (entry - 1, entry, entry + 1, entry | (2**64 - 1)):
                negative = uniform % 3 == 0
                cases.append(
                    {
                        "sigma": sigma,
                        "uniform": f"{uniform:032x}",
                        "negative": negative,
                        "draw": reference.draw(sigma, uniform, negative),
                    }
                )
    return cases


def bad_noise_cases() -> list[dict[str, Any]]:
    """What no noise is drawn for, with the code of the refusal."""
    good = {"spec_digest": sample("a"), "opening_digest": sample("b"), "sigma": 3}
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("bad_sigma_zero", "FS-200", {"sigma": 0}),
        ("bad_sigma_negative", "FS-200", {"sigma": -3}),
        ("bad_sigma_too_large", "FS-200", {"sigma": 2**18 + 1}),
        ("bad_sigma_fraction", "FS-200", {"sigma": 2.5}),
        ("bad_sigma_truth", "FS-200", {"sigma": True}),
        ("bad_spec_digest", "FS-726", {"spec_digest": "00" * 31}),
        ("bad_opening_digest", "FS-726", {"opening_digest": "00" * 33}),
        ("bad_no_opening", "FS-726", {"opening_digest": ""}),
    ]
    return [{"name": name, "code": code, **good, **bad} for name, code, bad in cases]


def params(**changes: Any) -> dict[str, Any]:
    """Public numbers of one round with noise."""
    case = {
        "dimension": 650,
        "max_reports": 50,
        "clip": "1.0",
        "unit_clip": "1.0",
        "noise": "4.0",
        "unit": "row",
        "scalars": [],
        "scalar_noise": "4.0",
        "equal_weights": True,
        "statistics": False,
        **changes,
    }
    noise = float(case["unit_clip"]), float(case["noise"])
    parts = 2 if case["statistics"] else 1
    if "fraction_bits" not in case:
        case["fraction_bits"] = reference.fraction_bits(
            case["max_reports"],
            float(case["clip"]),
            noise,
            case["dimension"],
            parts,
        )
    return case


def params_cases() -> list[dict[str, Any]]:
    """Good parameters; f, D and sigma that follow from them."""
    cases = [
        params(),
        params(statistics=True),
        params(dimension=0),
        params(dimension=1),
        params(dimension=10**6, max_reports=4, unit_clip="0.01"),
        params(dimension=10**7, max_reports=4),
        params(dimension=1024, noise="0.333"),  # a whole root
        params(max_reports=4, noise="0.01", unit_clip="0.001"),  # the sum decides
        params(max_reports=10**5, noise="0.5", unit_clip="0.03"),
        params(max_reports=3, clip="2.0", unit_clip="1.999", noise="100.0"),
        params(unit="data-owner", scalars=[1, 1], scalar_noise="11.5"),
        params(dimension=0, scalars=[1, 1, 64, 64], scalar_noise="43.21"),
        params(scalars=[1000, 1], scalar_noise="900.0"),
    ]
    for case in cases:
        case["sensitivity"], case["sigma"] = reference.steps(
            float(case["unit_clip"]),
            float(case["noise"]),
            case["fraction_bits"],
            case["dimension"],
            2 if case["statistics"] else 1,
        )
        declared, words = len(case["scalars"]), 6 + sum(case["scalars"])
        scalar_noise = float(case["scalar_noise"])
        steps = reference.metric_steps(scalar_noise, declared, words)
        case["metric_steps"] = steps
        case["scalar_sensitivity"], case["scalar_sigma"] = reference.scalar_steps(
            steps, scalar_noise, declared, words
        )
        case["rho_pico"] = reference.rho_pico(
            case["scalar_sensitivity"], case["scalar_sigma"]
        )
        if case["dimension"]:
            case["rho_pico"] += reference.rho_pico(case["sensitivity"], case["sigma"])
    return cases


def bad_params_cases() -> list[dict[str, Any]]:
    """Parameters that must be refused, with the code of the refusal."""
    bits = params()["fraction_bits"]
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("bad_unit_clip_nan", "FS-200", {"unit_clip": "nan"}),
        ("bad_unit_clip_zero", "FS-200", {"unit_clip": "0.0"}),
        ("bad_unit_clip_infinite", "FS-200", {"unit_clip": "inf"}),
        ("bad_unit_clip_above_clip", "FS-200", {"unit_clip": "1.0000000000000002"}),
        ("bad_noise_nan", "FS-200", {"noise": "nan"}),
        ("bad_noise_zero", "FS-200", {"noise": "0.0"}),
        ("bad_noise_negative", "FS-200", {"noise": "-1.0"}),
        ("bad_noise_too_large", "FS-200", {"noise": "262145.0"}),
        ("bad_scale_of_no_noise", "FS-203", {"fraction_bits": 25}),
        ("bad_scale_too_fine", "FS-203", {"fraction_bits": bits + 1}),
        ("bad_scale_too_coarse", "FS-203", {"fraction_bits": bits - 1}),
        ("bad_model_too_large", "FS-207", {"dimension": 10**9}),
        ("bad_no_scale_fits", "FS-207", {"dimension": 10**6, "noise": "300.0"}),
        ("bad_unit_clip_too_small", "FS-207", {"unit_clip": "1e-6"}),
        ("bad_weights", "FS-208", {"equal_weights": False}),
        ("bad_scalar_noise", "FS-200", {"scalar_noise": "0.0"}),
        ("bad_scalars_too_many", "FS-207", {"scalars": [900], "scalar_noise": "9e3"}),
        (
            "bad_noise_hides_nothing",
            "FS-200",
            {
                "noise": "0.0001",
                "fraction_bits": params(noise="0.0001")["fraction_bits"],
            },
        ),
        (
            "bad_unit_clip_of_an_owner",
            "FS-200",
            {"unit": "data-owner", "unit_clip": "0.5"},
        ),
    ]
    return [
        {"name": name, "code": code, **params(fraction_bits=bits) | changes}
        for name, code, changes in cases
    ]


def privacy_cases() -> list[dict[str, Any]]:
    """Openings, what they cost together, and what that means."""
    cases = []
    for sensitivity, sigma, openings in (
        (1, 1, 1),
        (131098, 262144, 1),
        (33768, 135072, 20),
        (32794, 260000, 100),
        (1, 2**18, 1),
        (7, 3, 3000),
    ):
        rho = reference.rho_pico(sensitivity, sigma)
        total = openings * rho
        for delta in DELTAS:
            cases.append(
                {
                    "sensitivity": sensitivity,
                    "sigma": sigma,
                    "rho_pico": rho,
                    "openings": openings,
                    "delta": repr(delta),
                    "one_server_corrupt": f"{reference.epsilon(total, delta):.25e}",
                    "outsider": f"{reference.epsilon(-(-total // 2), delta):.25e}",
                }
            )
    return cases


def bad_privacy_cases() -> list[dict[str, Any]]:
    """Numbers that nothing is computed from, with the code of the refusal."""
    cases: list[tuple[str, str, list[Any]]] = [
        ("bad_sigma", "rho_pico", [1, 0]),
        ("bad_sensitivity", "rho_pico", [-1, 1]),
        ("bad_sensitivity_fraction", "rho_pico", [1.5, 1]),
        ("bad_rho_negative", "epsilon", [-1, 1e-5]),
        ("bad_rho_fraction", "epsilon", [0.5, 1e-5]),
        ("bad_delta_zero", "epsilon", [1, 0.0]),
        ("bad_delta_one", "epsilon", [1, 1.0]),
        ("bad_delta_nan", "epsilon", [0, "nan"]),
        ("bad_epsilon_zero", "largest_rho", [0.0, 1e-5]),
        ("bad_epsilon_infinite", "largest_rho", ["inf", 1e-5]),
        ("bad_epsilon_nan", "largest_rho", ["nan", 1e-5]),
        ("bad_delta_of_a_budget", "largest_rho", [1.0, -1e-5]),
        ("bad_openings", "multiplier", [10, 0]),
        ("bad_nothing_to_spend", "multiplier", [0, 1]),
        ("bad_too_little_for_each", "multiplier", [9, 10]),
    ]
    return [
        {"name": name, "code": "FS-200", "function": function, "arguments": arguments}
        for name, function, arguments in cases
    ]


def vectors() -> dict[str, list[dict[str, Any]]]:
    """All files' contents."""
    return {
        "noise.json": noise_cases(),
        "noise_ties.json": tie_cases(),
        "bad_noise.json": bad_noise_cases(),
        "noise_params.json": params_cases(),
        "bad_noise_params.json": bad_params_cases(),
        "privacy.json": privacy_cases(),
        "bad_privacy.json": bad_privacy_cases(),
    }


def main() -> None:
    """Write all files, or compare them."""
    for name, cases in vectors().items():
        text = json.dumps(cases, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        path = FOLDER / name
        if "--check" not in sys.argv[1:]:
            path.write_text(text, "utf-8")
        elif path.read_text("utf-8") != text:
            sys.exit(f"{name} is not what generate_noise.py writes")


if __name__ == "__main__":
    main()
