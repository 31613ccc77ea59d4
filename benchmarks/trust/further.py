"""The further cases by name: as `cases.wrong` and `cases.exact`."""

import cases_of_many_numbers as many
import further_cases as few


def wrong():
    """Give further posteriors that are wrong, most of them calibrated."""
    return {
        "ignores an interaction": few.interaction(reads=False),
        "ignores an interaction, 30 observables": few.interaction(reads=False, many=30),
        "ignores one of two givens": few.two_givens(reads=False),
        "average width": few.seen_noise(right=False),
        "Gaussian for heavy tails": few.heavy_noise(2, "Gaussian"),
        "Gaussian for a skewed one": few.one_count("Gaussian"),
        "uniform prior for a log-uniform": few.log_uniform(right=False),
        "correlation turned where y1 > 0": few.turned_correlation(),
        "ignores what is seen in 10 %": few.rarely_on(0.1, reads=False),
        "ignores what is seen in 3 %": few.rarely_on(0.03, reads=False),
        "3 % of y one sd off, corner": few.region(few.corner, shift=1.0),
        "3 % of y half as wide, corner": few.region(few.corner, width=0.5),
        "3 % of y one sd off, far out in four": few.region(few.far_out, 4, shift=1.0),
        "ignores one of two, eight decades": few.decades(reads=False),
        "ignores a band with gaps": few.gaps(reads=False),
        "whole numbers x .83": few.whole_number(sharper=1.2),
        "kind and size apart": few.kind_and_size(together=False),
        "alike in size, infer=": few.alike_in_size(exact=False),
        "reads the mean of a set only": many.mean_and_width(reads_width=False),
        "ignores the order of a series": many.autoregression(1, 0.0),
        "ignores half of a season": many.autoregression(7, 0.5),
        "ignores pairs of a set": many.pairs(0.0),
        "ignores half of an image": many.checkerboard(0.5),
        "ignores one of two coordinates": many.angle(0.5),
    }


def exact():
    """Give further exact posteriors."""
    return {
        "exact, interaction, 30 observables": few.interaction(reads=True, many=30),
        "exact, two givens": few.two_givens(reads=True),
        "exact, Cauchy noise": few.heavy_noise(1),
        "exact, Cauchy prior": few.heavy_prior(),
        "exact, one count": few.one_count(),
        "exact, rarely on": few.rarely_on(0.1, reads=True),
        "exact, eight decades": few.decades(reads=True),
        "exact, gaps": few.gaps(reads=True),
        "exact, whole numbers": few.whole_number(),
        "exact, kind and size": few.kind_and_size(together=True),
        "exact, alike in size, infer=": few.alike_in_size(exact=True),
        "exact, mean and width of a set": many.mean_and_width(reads_width=True),
        "exact, season": many.autoregression(7, 1.0),
        "exact, pairs of a set": many.pairs(1.0),
        "exact, image": many.checkerboard(1.0),
        "exact, angle": many.angle(1.0),
        "exact, 30 parameters": many.thirty_parameters(),
        "exact, very sharp": many.very_sharp(),
        "exact, rare counts": many.rare_counts(),
        "exact, share of trials": many.share_of_trials(),
    }
