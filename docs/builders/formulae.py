"""The formula of each estimator, in the words of its paper; a test checks that none is missing.

s(z) is the score, the gradient of log p(z) by the logits; S the number of samples; J(p) = diag(p) -
p p^T the Jacobian of the softmax; D an outcome as a one-hot vector, and G Gumbel noise.
"""

MEAN = r"\frac{1}{S} \sum_{s=1}^{S} "

FORMULAE = {
    "rloo": r"\frac{1}{S-1} \sum_{s=1}^{S} \left( f(z_s) - \bar f \right) s(z_s)",
    "reinforce": MEAN + r"\left( f(z_s) - b_s \right) s(z_s)",
    "double_cv": r"\frac{1}{S-1} \sum_{s} \left( h_s - \bar h \right) s(x_s) + \alpha J \,"
    r"\overline{\nabla f}, \quad h_s = f(x_s) - \alpha \, \overline{\nabla f}_{-s}^{\top}"
    r"(x_s - \mu)",
    "muprop": MEAN + r"\left( f(x_s) - f(\mu) - \nabla f(\mu)^{\top} (x_s - \mu) \right) s(x_s)"
    r"+ J \nabla f(\mu)",
    "rodeo": MEAN + r"\left[ \left( f + A g \right)(x_s) - \overline{f + A g}_{-s} \right] s(x_s)"
    r"+ A (h s)(x_s), \quad A h(x) = \sum_v E\left[ h(x) \mid x_{-v} \right] - h(x)",
    "vimco": r"\sum_{s=1}^{S} \left( L - L_{-s} \right) s(z_s), \quad "
    r"L = \log\, \frac{1}{S} \sum_{s} e^{f(z_s)}",
    "max_at_k": r"\sum_{s=1}^{S} \left( A_s - \bar A_{-s} \right) s(z_s), \quad "
    r"A_s = \binom{S}{k}^{-1} \sum_{T \ni s,\, |T| = k} \left( \max_{t \in T} f(z_t)"
    r"- \max_{t \in T \setminus s} f(z_t) \right)",
    "enumerate": r"\sum_{z} p(z) f(z) s(z)",
    "local_expectation": r"J(p_v) \, w_v, \quad "
    r"w_{v,k} = \frac{1}{S} \sum_s f(z_{s,1}, \dots, z_{s,v} = k, \dots, z_{s,N})",
    "sum_and_sample": r"\sum_{z \in T} p(z) (f(z) - b) s(z)"
    r"+ \frac{1 - p(T)}{S - |T|} \sum_{z_s \notin T} (f(z_s) - b) s(z_s)",
    "importance_weighted": r"\sum_{z \in B} \frac{p(z)}{q(z)} \left( f(z) - b(z) \right) s(z)"
    r", \quad q(z) = 1 - \exp\left( -e^{\log\, p(z) - \kappa} \right)",
    "unordered_set": r"\sum_{z \in B} p(z) R(B, z) \left( f(z) - b(z) \right) s(z)"
    r", \quad R(B, z) = \frac{P(B \mid z \text{ first})}{P(B)}",
    "gumbel_softmax": MEAN + r"\frac{1}{\tau} J(y_s) \nabla f(y_s), \quad "
    r"y = \mathrm{softmax}\left( \frac{\phi + G}{\tau} \right)",
    "gapped_st": MEAN + r"\frac{1}{\tau} J(y_s) \nabla f(D_s), \quad "
    r"y = \mathrm{softmax}\left( \frac{\phi + m_1 - m_2}{\tau} \right)",
    "reinmax": MEAN + r"\left[ 2 J\left( \frac{\mathrm{softmax}(\phi / \tau) + D_s}{2} \right)"
    r"- \frac{1}{2} J(p) \right] \nabla f(D_s)",
    "straight_through": MEAN + r"\frac{1}{\tau} J(\mathrm{softmax}(\phi / \tau)) \nabla f(D_s)",
    "decoupled_st_gumbel": MEAN + r"\frac{1}{\tau_b} J(y_s) \nabla f(D_s), \quad "
    r"y = \mathrm{softmax}\left( \frac{\phi}{\tau_b} + G \right)",
    "st_gumbel": MEAN + r"\frac{1}{\tau} J(y_s) \nabla f(D_s), \quad "
    r"y = \mathrm{softmax}\left( \frac{\phi + G}{\tau} \right)",
    "gumbel_rao": MEAN + r"E\left[ \frac{1}{\tau} J(y) \mid D_s \right] \nabla f(D_s), \quad "
    r"y = \mathrm{softmax}\left( \frac{\phi + G}{\tau} \right)",
    "reinmax_rao": MEAN + r"\left[ \frac{2}{\tau} E\left[ J(y) \mid D_s \right]"
    r"- \frac{1}{2} J(p) \right] \nabla f(D_s), \quad "
    r"y = \mathrm{softmax}\left( \frac{\log\, \frac{p + D}{2} + G}{\tau} \right)",
    "reinmax_cv": MEAN + r"\left[ R(D_s) + \frac{\eta}{\tau} \left( E\left[ J(y) \mid D_s \right]"
    r"- J(y_s) \right) \right] \nabla f(D_s), \quad "
    r"R(D) = 2 J\left( \frac{p + D}{2} \right) - \frac{1}{2} J(p), \quad "
    r"y = \mathrm{softmax}\left( \frac{\log\, \frac{p + D}{2} + G}{\tau} \right)",
    "optimal_st": MEAN + r"A(D_s) \nabla f(D_s), \quad A = \underset{A}{\mathrm{argmin}} \,"
    r"E\left[ \left| A(D) \right|^2 \right], \quad E\left[ A(D) \nabla f(D) \right]"
    r"= \nabla_\phi E\left[ f(D) \right] \text{ for quadratic } f",
    "rebar": MEAN + r"\left( f(b_s) - \eta c(\tilde z_s) \right) s(b_s)"
    r"+ \eta \nabla c(z_s) - \eta \nabla c(\tilde z_s), \quad "
    r"c(z) = f(\mathrm{softmax}(z / \tau))",
    "relax": MEAN + r"\left( f(b_s) - c_{\rho}(\tilde z_s) \right) s(b_s)"
    r"+ \nabla c_{\rho}(z_s) - \nabla c_{\rho}(\tilde z_s)",
    "pooled": MEAN + r"f(z_s) s(z_s) + \sum_{c} w_c h_c, \quad E\left[ h_c \right] = 0, \quad "
    r"w = \underset{w}{\mathrm{argmin}} \sum_{\mathrm{past}} \left| g - \bar g"
    r"+ \sum_c w_c h_c \right|^2",
    "arm": r"\frac{2}{S} \sum_{s=1}^{S/2} \left( f(b_s) - f(b_s') \right)"
    r"\left( u_s - \frac{1}{2} \right)",
    "arms": r"\frac{1}{S-1} \sum_{s=1}^{S} \left( f(b_s) - \bar f \right) (b_s - p)"
    r"\frac{p (1 - p)}{p - P(b_1 = b_2 = 1)}",
    "disarm": r"\frac{1}{S} \sum_{s=1}^{S/2} \left( f(b_s) - f(b_s') \right) (b_s - b_s')"
    r"\max(p, 1 - p)",
    "arsm": MEAN + r"\sum_{j} \left( f_{cj} - \frac{1}{K} \sum_m f_{mj} \right)"
    r"\left( \frac{1}{K} - \varpi_j \right)",
    "carms": r"\frac{1}{S (S-1)} \sum_{s < t} w_{st} \left( f(z_s) - f(z_t) \right)"
    r"\left( s(z_s) - s(z_t) \right)",
    "disarm_iw": r"\frac{1}{S} \sum_{s=1}^{S/2} w_s \left( f(z_s) - f(z_s') \right)"
    r"\left( s(z_s) - s(z_s') \right)",
}
