"""What goes on inside a trained model: its gates, its attention, and its gradients."""

from edgeseq.train.inside.attention import attention_of
from edgeseq.train.inside.gates import gates_of
from edgeseq.train.inside.gradients import gradient_times_input, integrated_gradients

__all__ = ["attention_of", "gates_of", "gradient_times_input", "integrated_gradients"]
