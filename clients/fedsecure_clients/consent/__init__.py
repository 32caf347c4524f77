"""What a data owner agrees to: policy, hours, studies that a person approved."""
